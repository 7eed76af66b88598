import { Inject, Injectable } from '@nestjs/common';
import { DataSource, type Repository } from 'typeorm';
import { isId } from '../../persistence/ids.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { DeploymentScheduleEntity } from './deployment-schedule.entity.js';
import { DeploymentEntity } from './deployment.entity.js';

/** Keeps deployments and their schedules. */
@Injectable()
export class DeploymentsRepository {
  private readonly deployments: Repository<DeploymentEntity>;
  private readonly schedules: Repository<DeploymentScheduleEntity>;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.deployments = dataSource.getRepository(DeploymentEntity);
    this.schedules = dataSource.getRepository(DeploymentScheduleEntity);
  }

  async find(id: string): Promise<DeploymentEntity | null> {
    return isId(id) ? this.deployments.findOneBy({ id }) : null;
  }

  findByName(flowId: string, name: string): Promise<DeploymentEntity | null> {
    return this.deployments.findOneBy({ flowId, name });
  }

  /** In the order in which they were made. */
  schedulesOf(deploymentId: string): Promise<DeploymentScheduleEntity[]> {
    return this.schedules.find({ where: { deploymentId }, order: { id: 'ASC' } });
  }
}
